-- Prints one line of JSON at the end. The other scripts load it, or alone:
--   wrk -t1 -c64 -d10s -s report.lua http://127.0.0.1:8080/
-- HOST gives the Host field, ORIGIN the Origin field.

local host = os.getenv("HOST")
if host then
  wrk.headers["Host"] = host
end
local origin = os.getenv("ORIGIN")
if origin then
  wrk.headers["Origin"] = origin
end

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function response(status)
  -- In the thread's own state: `done` reads it there.
  if status >= 400 then
    refused = (refused or 0) + 1
  end
end

function done(summary, latency, requests)
  local failed = 0
  for _, thread in ipairs(threads) do
    failed = failed + (thread:get("refused") or 0)
  end
  local errors = summary.errors
  local seconds = summary.duration / 1e6
  io.write(string.format(
    '{"requests":%d,"seconds":%.2f,"requests_per_second":%.1f,"bytes":%d,' ..
    '"p50_ms":%.3f,"p90_ms":%.3f,"p99_ms":%.3f,"p999_ms":%.3f,"max_ms":%.3f,' ..
    '"status_errors":%d,"socket_errors":%d,"timeouts":%d}\n',
    summary.requests, seconds, summary.requests / seconds, summary.bytes,
    latency:percentile(50) / 1000, latency:percentile(90) / 1000, latency:percentile(99) / 1000,
    latency:percentile(99.9) / 1000, latency.max / 1000,
    failed, errors.connect + errors.read + errors.write, errors.timeout))
end
