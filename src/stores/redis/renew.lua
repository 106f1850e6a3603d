-- ask: node, held [{run_id, attempt}] -> one word per run, then `<run> <attempt>` of each run that it did not name
local function renew(ask)
  follow_clock()
  redis.call("ZADD", key("nodes_seen"), "XX", now_text, ask.node)
  local leased = {}
  local all = redis.call("HGETALL", key("leases", ask.node))
  for i = 1, #all, 2 do leased[all[i]] = all[i + 1]:match("^%d+") end

  local answer, named = {}, {}
  for _, held in ipairs(ask.held) do
    local run = held.run_id
    if tonumber(leased[run]) ~= held.attempt then
      answer[#answer + 1] = "stale"
    else
      named[run] = true
      local h = redis.call("HMGET", key("run", run), "cancel", "ttl")
      redis.call("ZADD", key("leased"), lease_end(h[2]), run)
      answer[#answer + 1] = h[1] and "cancel" or "ok"
    end
  end
  for run, attempt in pairs(leased) do
    if not named[run] then answer[#answer + 1] = run .. " " .. attempt end
  end
  return answer
end
