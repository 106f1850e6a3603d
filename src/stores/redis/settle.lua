-- ask: key, claim, verdict (sent | later | dead), due_in_ms, unsure, handle, follow, why, pause_until, edited, health
local post = key("post", ask.key)
local h = redis.call("HMGET", post, "claim", "settled_by", "subject", "destination", "seq", "status", "once_more", "state", "created_at")
if h[2] == ask.claim then return "ok" end

local subject, destination, seq = h[3], h[4], tonumber(h[5])

-- Sends once more what was sent already.
local function send_again(name)
  local again = key("post", name)
  redis.call("PERSIST", again)
  redis.call("HSET", again, "status", "waiting", "at", now)
  redis.call("HDEL", again, "once_more")
  redis.call("ZADD", key("line", destination, subject), field(again, "seq"), name)
  redis.call("ZADD", key("due", destination), moment, name)
  redis.call("ZADD", key("ready"), "LT", moment, destination)
end

-- A frozen gateway's try may have overwritten what came after it: that is sent once more, once per such claim.
local function assert_newest()
  for _, name in ipairs(redis.call("ZREVRANGEBYSCORE", key("posts", subject), "+inf", "(" .. seq)) do
    local newer = key("post", name)
    local n = redis.call("HMGET", newer, "destination", "status", "again")
    if n[1] == destination and (n[2] == "sent" or n[2] == "sending") then
      if n[3] == ask.claim then return end
      redis.call("HSET", newer, "again", ask.claim)
      -- One that is being sent now goes again when it is settled.
      if n[2] == "sent" then send_again(name) else redis.call("HSET", newer, "once_more", 1) end
      return ring("posts")
    end
  end
end

if h[1] ~= ask.claim or h[6] ~= "sending" then
  if ask.edited and seq then assert_newest() end
  return "stale"
end

local line, thread, keep = key("line", destination, subject), key("thread", destination, subject), keep_told()

local function close(name, status)
  local h = redis.call("HMGET", key("post", name), "seq", "subject", "destination")
  if status ~= "dead" then redis.call("ZREM", key("owed"), h[1] .. ":" .. h[2]) end
  redis.call("ZREM", key("line", h[3], h[2]), name)
  redis.call("ZREM", key("due", h[3]), name)
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
  -- An older state is no news any more, whether this one arrived or never will.
  for _, older in ipairs(redis.call("ZRANGEBYSCORE", line, "-inf", "(" .. seq)) do close(older, "replaced") end
end
if ask.verdict == "sent" then
  redis.call("HSET", thread, "seq", seq)
  if ask.handle then redis.call("HSET", thread, "handle", ask.handle) end
  redis.call("PEXPIRE", thread, keep)
  if ask.follow then
    local began = key("thread", ask.follow.destination, subject)
    redis.call("HSET", began, "handle", ask.follow.handle)
    redis.call("PEXPIRE", began, keep)
    put_post(subject, seq, h[8], ask.follow)
  end
  if h[7] then send_again(ask.key) end
end
redis.call("HSET", post, "why", ask.why or "", "claim", "", "settled_by", ask.claim)

local gate = gate_of(destination)
local door = key("destination", gate)
if ask.pause_until and ask.pause_until > now then
  redis.call("HSET", door, "paused_until", string.format("%.0f", ask.pause_until), "why", ask.why or "")
end

-- Notes a post that is refused for good, in case its destination is mended while it is still news.
local function remember_refused(of, setup)
  redis.call("HSET", post, "refused_under", setup)
  redis.call("ZREMRANGEBYSCORE", key("refused", of), "-inf", now - day)
  redis.call("ZADD", key("refused", of), h[9], ask.key)
  redis.call("PEXPIRE", key("refused", of), day)
end

-- What has waited too long at a door that stays shut is given up.
local function give_up(before)
  for _, behind in ipairs(redis.call("SMEMBERS", key("destinations"))) do
    if gate_of(behind) == gate then
      for _, name in ipairs(redis.call("ZRANGE", key("due", behind), 0, -1)) do
        if tonumber(field(key("post", name), "created_at")) <= before then
          close(name, "dead")
          redis.call("HSET", key("post", name), "why", "given up while the circuit was open: " .. (ask.why or ""))
        end
      end
    end
  end
end

local function open(health, failures, probing)
  local ms = math.min(health.longest_ms, health.open_ms * 2 ^ math.max(0, failures - health.limit))
  redis.call("HSET", door, "open_until", string.format("%.0f", now + ms), "cause", health.cause, "setup", health.setup,
    "why", ask.why or "")
  redis.call("HSETNX", door, "opened_at", now)
  redis.call("HDEL", door, "probe")
  if probing then give_up(now - health.give_up_ms) end
end

local function feel(health)
  local g = redis.call("HMGET", door, "failures", "open_until", "probe")
  local turned
  local probing = g[3] == ask.claim
  if not health then
    if probing then redis.call("HDEL", door, "probe") end
  elseif health.well then
    if g[2] then redis.call("HSET", door, "paused_until", string.format("%.0f", math.max(tonumber(field(door, "paused_until") or 0), now))) end
    if g[1] then redis.call("HDEL", door, "failures", "open_until", "opened_at", "probe", "cause", "setup", "why") end
    if g[2] then
      revive(gate, "")
      turned = "closed"
    end
  elseif probing or not (g[2] or health.early) then -- else it began before the circuit opened, and says nothing new
    local failures = redis.call("HINCRBY", door, "failures", 1)
    if probing or failures >= health.limit then
      open(health, failures, probing)
      if not probing then turned = "opened" end
    end
  end
  if g[2] then wake(gate) end
  return turned
end

if ask.verdict == "dead" and ask.health and ask.health.cause == "config" then remember_refused(gate, ask.health.setup) end
local turned = feel(ask.health)
reckon(destination)
ring("posts")
return turned or "ok"
