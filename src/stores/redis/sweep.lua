-- ask: limit -> how many runs went; all of a run goes in one step, once it is over and told. Gateways that fell silent go too.
-- Runs carry no expiry of their own, or their indices would outlive them; the dead stay exactly as long as the others.
local function told(run)
  if tonumber(field(key("run", run), "untold") or 0) > 0 then return false end
  for _, name in ipairs(redis.call("ZRANGE", key("posts", run), 0, -1)) do
    local status = field(key("post", name), "status")
    if status == "waiting" or status == "sending" then return false end
  end
  return true
end

local function forget(run)
  local hash = key("run", run)
  local h = redis.call("HMGET", hash, "state", "issue_key", "attempt")
  for _, name in ipairs(redis.call("ZRANGE", key("posts", run), 0, -1)) do
    local destination = field(key("post", name), "destination")
    if destination then redis.call("DEL", key("thread", destination, run)) end
    redis.call("DEL", key("post", name))
  end
  for attempt = 1, tonumber(h[3] or 0) do
    redis.call("DEL", key("log", run, tostring(attempt)), key("logged", run, tostring(attempt)))
    redis.call("ZREM", key("drain"), run .. " " .. attempt)
  end
  redis.call("DEL", hash, key("posts", run))
  redis.call("ZREM", key("endings"), run:reverse())
  redis.call("ZREM", key("runs"), run)
  redis.call("ZREM", key("ended"), run)
  if h[1] then redis.call("ZREM", key("in", h[1]), run) end
  if h[2] then redis.call("ZREM", key("issue", h[2]), run) end
end

for _, silent in ipairs(redis.call("ZRANGEBYSCORE", key("gateways_seen"), "-inf", "(" .. now - setting("gateways_ms"))) do
  redis.call("HDEL", key("gateways"), silent)
  redis.call("ZREM", key("gateways_seen"), silent)
end

local gone = 0
for _, run in ipairs(redis.call("ZRANGEBYSCORE", key("ended"), "-inf", now - setting("runs_ms"), "LIMIT", 0, ask.limit)) do
  if told(run) then
    forget(run)
    gone = gone + 1
  end
end
return gone
