-- ask: lock, token, node, ttl_ms, want_ms -> 1 where the lock is held now, else 0: it is wanted
follow_clock()
local all = key("holds")
local live = holds_now()
local mine
local alive = {}
for _, hold in ipairs(live) do
  alive[hold.token] = true
  if hold.token == ask.token then mine = hold end
end
for _, token in ipairs(redis.call("HKEYS", all)) do
  if not alive[token] then redis.call("HDEL", all, token) end
end

local asked_at = mine and mine.since or now
local had = mine and mine.held
local got = had or places(ask.lock, asked_at, live) < (capacities()[ask.lock] or 1)
redis.call("HSET", all, ask.token, cjson.encode({
  token = ask.token, lock = ask.lock, node = ask.node, held = got,
  since = (got and not had) and now or asked_at,
  till = now + (got and ask.ttl_ms or ask.want_ms),
}))
return got and 1 or 0
