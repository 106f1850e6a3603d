-- ask: token
if redis.call("HDEL", key("holds"), ask.token) == 1 then ring_if_work_waits() end
return 1
