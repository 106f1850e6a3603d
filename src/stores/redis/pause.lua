-- ask: lane, why (absent = goes on)
if ask.why then
  redis.call("HSET", key("paused"), ask.lane, ask.why)
else
  redis.call("HDEL", key("paused"), ask.lane)
  ring_if_work_waits()
end
return 1
