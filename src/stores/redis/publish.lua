-- ask: lanes {name → text}, settings {name → text}; pauses outlive it
redis.call("DEL", key("lanes"), key("settings"))
for name, rules in pairs(ask.lanes) do redis.call("HSET", key("lanes"), name, rules) end
for name, value in pairs(ask.settings) do redis.call("HSET", key("settings"), name, value) end
ring_if_work_waits()
return 1
