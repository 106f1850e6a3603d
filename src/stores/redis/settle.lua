-- ask: key, claim, verdict (sent | later | dead), due_in_ms, unsure, handle, why, pause_until
local post = key("post", ask.key)
local h = redis.call("HMGET", post, "claim", "settled_by", "subject", "destination", "seq", "status")
if h[2] == ask.claim then return "ok" end
if h[1] ~= ask.claim or h[6] ~= "sending" then return "stale" end

local subject, destination, seq = h[3], h[4], tonumber(h[5])
local line, thread, keep = key("line", destination, subject), key("thread", destination, subject), keep_told()

local function close(name, status)
  redis.call("ZREM", line, name)
  redis.call("ZREM", key("due", destination), name)
  redis.call("HSET", key("post", name), "status", status, "at", now)
  redis.call("PEXPIRE", key("post", name), keep)
end

redis.call("ZREM", key("sending"), ask.key)
if ask.verdict == "later" then
  redis.call("HSET", post, "status", "waiting", "at", now)
  if ask.unsure then redis.call("HSET", post, "unsure", 1) end -- and so it stays: a later clean failure says nothing of this try
  redis.call("ZADD", key("due", destination), moment + ask.due_in_ms, ask.key)
else
  close(ask.key, ask.verdict)
  redis.call("PEXPIRE", key("posts", subject), keep)
end
if ask.verdict == "sent" then
  for _, older in ipairs(redis.call("ZRANGEBYSCORE", line, "-inf", "(" .. seq)) do close(older, "replaced") end
  redis.call("HSET", thread, "seq", seq)
  if ask.handle then redis.call("HSET", thread, "handle", ask.handle) end
  redis.call("PEXPIRE", thread, keep)
end
if ask.pause_until and ask.pause_until > now then
  redis.call("HSET", key("destination", destination), "paused_until", string.format("%.0f", ask.pause_until), "why", ask.why or "")
end
redis.call("HSET", post, "why", ask.why or "", "claim", "", "settled_by", ask.claim)
reckon(destination)
ring("posts")
return "ok"
