-- One request on each connection: over TLS, a handshake for each.

dofile((os.getenv("WRK_SCRIPTS") or ".") .. "/report.lua")

wrk.headers["Connection"] = "close"
