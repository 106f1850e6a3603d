-- Prepended, after common.lua, to what makes, claims and settles posts.
-- The remote behind a destination, by whose name pauses and circuits are kept: `chat:builds/reply` goes where `chat:builds` goes.
local function gate_of(destination)
  return destination:match("^[^/]*")
end

-- The earliest due post of a destination decides when the destination is next looked at.
local function reckon(destination)
  local first = redis.call("ZRANGE", key("due", destination), 0, 0, "WITHSCORES")
  if first[2] then
    redis.call("ZADD", key("ready"), first[2], destination)
  else
    redis.call("ZREM", key("ready"), destination)
  end
end

-- Looks anew at every destination behind a gate, once it may be open.
local function wake(gate)
  for _, destination in ipairs(redis.call("SMEMBERS", key("destinations"))) do
    if gate_of(destination) == gate then reckon(destination) end
  end
end

local day = 86400000

-- The end of a subject alone is still news by then, and only where nothing newer was made for its line.
local function is_news(h)
  if h[2] == "queued" or h[2] == "running" then return false end
  for _, name in ipairs(redis.call("ZRANGEBYSCORE", key("posts", h[4]), "(" .. h[5], "+inf")) do
    if field(key("post", name), "destination") == h[3] then return false end
  end
  return true
end

-- Lets the ends go again that this gate refused within a day under another setup, "" for under any; answers how many.
local function revive(gate, setup)
  local any = 0
  for _, name in ipairs(redis.call("ZRANGEBYSCORE", key("refused", gate), now - day, "+inf")) do
    local post = key("post", name)
    local h = redis.call("HMGET", post, "status", "state", "destination", "subject", "seq", "refused_under")
    if h[1] == "dead" and h[6] and h[6] ~= setup and is_news(h) then
      redis.call("PERSIST", post)
      redis.call("HSET", post, "status", "waiting", "at", now)
      redis.call("HDEL", post, "refused_under")
      redis.call("ZADD", key("line", h[3], h[4]), h[5], name)
      redis.call("ZADD", key("due", h[3]), moment, name)
      redis.call("ZADD", key("ready"), "LT", moment, h[3])
      redis.call("ZREM", key("refused", gate), name)
      any = any + 1
    end
  end
  return any
end

-- Makes a post, once; one that comes after a later state was sent is told no more. False where it was there already.
local function put_post(subject, seq, state, new)
  local post, destination = key("post", new.key), new.destination
  if redis.call("EXISTS", post) == 1 then return false end
  redis.call("HSET", post, "subject", subject, "seq", seq, "state", state, "destination", destination,
    "announcement", new.announcement, "tries", 0, "created_at", now, "at", now)
  redis.call("ZADD", key("posts", subject), seq, new.key)
  redis.call("SADD", key("destinations"), destination)
  local sent = tonumber(field(key("thread", destination, subject), "seq") or 0)
  if sent > seq then
    redis.call("HSET", post, "status", "replaced")
    redis.call("PEXPIRE", post, keep_told())
    return false
  end
  redis.call("HSET", post, "status", "waiting")
  redis.call("ZADD", key("line", destination, subject), seq, new.key)
  redis.call("ZADD", key("due", destination), moment, new.key)
  redis.call("ZADD", key("ready"), "LT", moment, destination)
  return true
end
