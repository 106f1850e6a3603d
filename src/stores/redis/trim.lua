-- ask: run_id, attempt, place, from, to -> 1, or 0 when another place drains it, or bytes before `from` are gone already
local meta, log = key("logged", ask.run_id, ask.attempt), key("log", ask.run_id, ask.attempt)
local member = ask.run_id .. " " .. ask.attempt
local m = redis.call("HMGET", meta, "drainer", "trimmed", "size", "until")
if m[1] ~= ask.place or tonumber(m[2]) ~= ask.from or ask.to > tonumber(m[3]) then return 0 end

redis.call("HSET", meta, "trimmed", ask.to)
if ask.to == tonumber(m[3]) then
  redis.call("DEL", log)
  redis.call("ZREM", key("drain"), member)
else
  redis.call("SET", log, redis.call("GETRANGE", log, ask.to - ask.from, -1), "KEEPTTL")
  redis.call("ZADD", key("drain"), now, member)
end
return 1
