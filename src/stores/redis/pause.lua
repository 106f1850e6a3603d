-- ask: lane, why (absent = goes on)
if not ask.why then
  redis.call("HDEL", key("paused"), ask.lane)
  ring_if_work_waits()
elseif (field(key("paused"), ask.lane) or ""):match("^%d+ (.*)$") ~= ask.why then
  redis.call("HSET", key("paused"), ask.lane, string.format("%.0f", now) .. " " .. ask.why)
end
return 1
