-- ask: source, issue_key, why -> the run that waited, or ""
local waits = waiting_run(ask.source, ask.issue_key)
if not waits then return "" end
cancel(waits, ask.why)
return waits
