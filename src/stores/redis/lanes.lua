-- -> {lanes {{name, rules, depth, running, oldest_queued_at, paused}…}, locks {{name, capacity, {{kind, id, node, since}…}}…}}
-- Those that wait for a later move of their issue are queued too, though in no line yet.
local later, delayed = {}, {}
for _, run in ipairs(redis.call("ZRANGE", key("later"), 0, -1)) do
  local h = redis.call("HMGET", key("run", run), "lane", "queued_at")
  local of = later[h[1]] or { n = 0, oldest = tonumber(h[2]) }
  if not later[h[1]] then delayed[#delayed + 1] = h[1] end
  later[h[1]] = { n = of.n + 1, oldest = math.min(of.oldest, tonumber(h[2])) }
end

-- Runs that came back are few: the oldest is among the first hundred of them, or first of those that never left.
local function oldest(lane)
  local first
  for _, entry in ipairs(redis.call("XRANGE", key("wait", lane), "-", "+", "COUNT", 1)) do
    first = tonumber(field(key("run", entry[2][2]), "queued_at"))
  end
  for _, entry in ipairs(redis.call("XRANGE", key("again", lane), "-", "+", "COUNT", 100)) do
    local at = tonumber(field(key("run", entry[2][2]), "queued_at"))
    if not first or at < first then first = at end
  end
  if later[lane] and not (first and first < later[lane].oldest) then first = later[lane].oldest end
  return first and string.format("%.0f", first) or ""
end

local function set_of(...)
  local set = {}
  for _, names in ipairs({ ... }) do
    for _, name in ipairs(names) do set[name] = true end
  end
  return set
end

local running, known = {}, {}
for _, run in ipairs(redis.call("ZRANGE", key("leased"), 0, -1)) do
  local h = redis.call("HMGET", key("run", run), "lane", "locks")
  running[h[1]] = (running[h[1]] or 0) + 1
  -- Its lane may need others by now.
  for _, lock in ipairs(cjson.decode(h[2] or "[]")) do known[lock] = true end
end
local busy = {}
for lane in pairs(running) do busy[#busy + 1] = lane end

local capacity = capacities()
for lock in pairs(capacity) do known[lock] = true end

local lanes = {}
local names = set_of(redis.call("HKEYS", key("lanes")), redis.call("SMEMBERS", key("lines")), redis.call("HKEYS", key("paused")), busy, delayed)
for lane in pairs(names) do
  local rules = lane_rules(lane)
  for _, lock in ipairs(rules.locks) do known[lock] = true end
  lanes[#lanes + 1] = {
    lane, field(key("lanes"), lane) or "",
    redis.call("XLEN", key("wait", lane)) + redis.call("XLEN", key("again", lane)) + (later[lane] and later[lane].n or 0),
    running[lane] or 0, oldest(lane), field(key("paused"), lane) or "",
  }
end

local held = holds_now()
for _, hold in ipairs(held) do known[hold.lock] = true end
local locks = {}
for lock in pairs(known) do
  local holders = {}
  for _, run in ipairs(redis.call("SMEMBERS", key("held", lock))) do
    local h = redis.call("HMGET", key("run", run), "node", "started_at")
    holders[#holders + 1] = { "run", run, h[1], h[2] }
  end
  for _, hold in ipairs(held) do
    if hold.lock == lock and hold.held then
      holders[#holders + 1] = { "hold", hold.token, hold.node, string.format("%.0f", hold.since) }
    end
  end
  locks[#locks + 1] = { lock, capacity[lock] or 1, holders }
end
return { lanes, locks }
