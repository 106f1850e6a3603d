-- ask: subject, state, node, report (text)
local hash = key("report", ask.subject)
if redis.call("HEXISTS", hash, ask.state) == 1 then return "seen" end

local seq = redis.call("HINCRBY", hash, "told", 1)
redis.call("HINCRBY", hash, "untold", 1)
redis.call("XADD", key("events"), "*", "subject", ask.subject, "seq", seq, "state", ask.state, "at", now, "node", ask.node,
  "report", ask.report)
redis.call("HSET", hash, ask.state, now)
redis.call("PEXPIRE", hash, keep_told())
ring("events")
return "new"
