-- ask: key, what (open | resolve), opened_with, call -> 1 when this call opened or resolved it
local alert = key("alert", ask.key)
local h = redis.call("HMGET", alert, "what", "call")
if h[2] == ask.call then return 1 end
if h[1] == ask.what or (ask.what == "resolve" and not h[1]) then return 0 end

redis.call("HSET", alert, "what", ask.what, "call", ask.call, "at", now)
if ask.opened_with then redis.call("HSET", alert, "opened_with", ask.opened_with) end
-- The index knows every alert that is open, and the others for as long as they are kept.
redis.call("ZREMRANGEBYSCORE", key("alerts"), "-inf", now)
if ask.what == "resolve" then
  redis.call("PEXPIRE", alert, keep_told())
  redis.call("ZADD", key("alerts"), now + keep_told(), ask.key)
else
  redis.call("PERSIST", alert)
  redis.call("ZADD", key("alerts"), "+inf", ask.key)
end
return 1
