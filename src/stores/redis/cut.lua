-- ask: run_id, attempt, line -> 1; what the node sends from here on is taken and dropped
local meta, log = key("logged", ask.run_id, ask.attempt), key("log", ask.run_id, ask.attempt)
if redis.call("EXISTS", log) == 0 or redis.call("HSETNX", meta, "cut", 1) == 0 then return 1 end
redis.call("APPEND", log, ask.line)
redis.call("HINCRBY", meta, "size", #ask.line)
return 1
