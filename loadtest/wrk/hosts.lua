-- Requests to HOSTS hosts in turn, named PREFIX0.SUFFIX and so on: what a table
-- of that many hosts costs. The objects come from the test, not from here.

dofile((os.getenv("WRK_SCRIPTS") or ".") .. "/report.lua")

local count = tonumber(os.getenv("HOSTS") or "1000")
local prefix = os.getenv("PREFIX") or "host"
local suffix = os.getenv("SUFFIX") or "example"
local requests = {}
local at = 0

function init()
  for index = 0, count - 1 do
    wrk.headers["Host"] = string.format("%s%d.%s", prefix, index, suffix)
    requests[index] = wrk.format("GET")
  end
  -- Threads do not walk in step.
  at = math.random(0, count - 1)
end

function request()
  at = (at + 1) % count
  return requests[at]
end
