-- ask: gateway, uses (text), keep_ms, gateways (how many are kept)
redis.call("HSET", key("tallies"), ask.gateway, ask.uses)
redis.call("ZADD", key("tallied"), now, ask.gateway)
local old = redis.call("ZRANGEBYSCORE", key("tallied"), "-inf", now - ask.keep_ms)
local over = redis.call("ZRANGE", key("tallied"), 0, -ask.gateways - 1)
for _, gone in ipairs({ old, over }) do
  for _, gateway in ipairs(gone) do
    redis.call("HDEL", key("tallies"), gateway)
    redis.call("ZREM", key("tallied"), gateway)
  end
end
return 1
