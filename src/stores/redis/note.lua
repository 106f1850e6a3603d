-- ask: call, notes [text…]; a repeat of the same call notes nothing
if not redis.call("SET", key("call", ask.call), 1, "NX", "PX", 60000) then return 0 end
for _, note in ipairs(ask.notes) do redis.call("XADD", key("seen"), "MAXLEN", setting("deliveries"), "*", "note", note) end
return #ask.notes
