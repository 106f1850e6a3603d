-- ask: gate_ms (nodes come through who asks, who asks again within so long) -> how many leases were lost
-- Where no such gateway was there, those nodes get one ttl to come back.
follow_clock()
if ask.gate_ms then
  if not has_gate() then
    for _, run in ipairs(redis.call("ZRANGE", key("leased"), 0, -1)) do
      local h = redis.call("HMGET", key("run", run), "through", "ttl")
      if h[1] == "1" then redis.call("ZADD", key("leased"), now + math.max(setting("ttl_ms"), tonumber(h[2] or 0)), run) end
    end
  end
  redis.call("HSET", key("clock"), "gate_till", now + ask.gate_ms)
end
return reap()
