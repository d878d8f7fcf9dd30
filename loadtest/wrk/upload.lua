-- Bodies of SIZE bytes, one MiB by default.

dofile((os.getenv("WRK_SCRIPTS") or ".") .. "/report.lua")

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("a", tonumber(os.getenv("SIZE") or "1048576"))
