-- ask: claim, ttl_ms, destinations -> {"post", key, handle, fields} | {"none", when there may be one, and in how many ms} | {"none"}
-- In a line (one subject at one destination) one post at a time is being sent. A newer state overtakes an older one only
-- when the older one's first send has failed, or when the destination held it up: paused, or its circuit open. An open
-- circuit lets one post through when its time is over: the probe.

local function taken(name)
  local post = key("post", name)
  local h = redis.call("HMGET", post, "subject", "destination")
  local handle = redis.call("HGET", key("thread", h[2], h[1]), "handle")
  return { "post", name, handle or "", redis.call("HGETALL", post) }
end

local before = redis.call("GET", key("claim", ask.claim))
if before and field(key("post", before), "claim") == ask.claim then return taken(before) end

-- Whoever claimed these is gone or frozen: nobody knows whether they arrived.
for _, name in ipairs(redis.call("ZRANGEBYSCORE", key("sending"), "-inf", moment, "LIMIT", 0, 50)) do
  local post = key("post", name)
  local destination = field(post, "destination")
  local gate = gate_of(destination)
  if field(key("destination", gate), "probe") == field(post, "claim") then
    redis.call("HDEL", key("destination", gate), "probe")
    wake(gate)
  end
  redis.call("ZREM", key("sending"), name)
  redis.call("HSET", post, "status", "waiting", "unsure", 1, "claim", "")
  redis.call("ZADD", key("due", destination), moment, name)
  redis.call("ZADD", key("ready"), "LT", moment, destination)
end

-- The newest due post of a line that may go now, or nil.
local function next_of(line, held_until)
  local choice
  for _, name in ipairs(redis.call("ZRANGE", line, 0, -1)) do
    local h = redis.call("HMGET", key("post", name), "status", "tries", "created_at", "destination")
    if h[1] == "sending" then return nil end
    local due = redis.call("ZSCORE", key("due", h[4]), name)
    if due and tonumber(due) <= moment then
      choice = name
    elseif tonumber(h[2]) > 0 then
      choice = nil -- what is older stays behind it: it may have arrived
    end
    local yields = tonumber(h[2]) > 0 or tonumber(h[3]) < held_until
    if not yields then break end
  end
  return choice
end

local function take(name, destination, probing)
  local post = key("post", name)
  redis.call("ZREM", key("due", destination), name)
  redis.call("ZADD", key("sending"), now + ask.ttl_ms, name)
  redis.call("HINCRBY", post, "tries", 1)
  redis.call("HSET", post, "status", "sending", "claim", ask.claim, "at", now)
  if probing then redis.call("HSET", key("destination", gate_of(destination)), "probe", ask.claim) end
  reckon(destination)
  redis.call("SET", key("claim", ask.claim), name, "PX", math.max(1, ask.ttl_ms))
  return taken(name)
end

local mine = {}
for _, destination in ipairs(ask.destinations) do mine[destination] = true end

for _, destination in ipairs(redis.call("ZRANGEBYSCORE", key("ready"), "-inf", moment)) do
  if mine[destination] then
    local h = redis.call("HMGET", key("destination", gate_of(destination)), "paused_until", "open_until", "probe")
    local open_until = tonumber(h[2])
    local until_when = math.max(tonumber(h[1]) or 0, open_until or 0)
    if h[3] then
      redis.call("ZREM", key("ready"), destination) -- the probe's settling, or the end of its claim, looks here again
    elseif until_when > now then
      redis.call("ZADD", key("ready"), until_when, destination)
    else
      -- What waits at an open circuit was held up by it, up to this moment.
      local held_until = open_until and now + 1 or until_when
      for _, name in ipairs(redis.call("ZRANGEBYSCORE", key("due", destination), "-inf", moment, "LIMIT", 0, 500)) do
        local choice = next_of(key("line", destination, field(key("post", name), "subject")), held_until)
        if choice then return take(choice, destination, open_until) end
      end
      -- All that is due waits behind a post being sent; its settling, or the end of its claim, looks here again.
      local after = string.format("(%.3f", moment)
      local later = redis.call("ZRANGEBYSCORE", key("due", destination), after, "+inf", "WITHSCORES", "LIMIT", 0, 1)
      if later[2] then
        redis.call("ZADD", key("ready"), later[2], destination)
      else
        redis.call("ZREM", key("ready"), destination)
      end
    end
  end
end

local next_at = redis.call("ZRANGE", key("sending"), 0, 0, "WITHSCORES")[2]
for _, destination in ipairs(ask.destinations) do
  local ready = redis.call("ZSCORE", key("ready"), destination)
  if ready and (not next_at or tonumber(ready) < tonumber(next_at)) then next_at = ready end
end
if not next_at then return { "none" } end
return { "none", next_at, string.format("%.0f", math.max(0, tonumber(next_at) - moment)) }
