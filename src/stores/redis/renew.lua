-- ask: node, held [{run_id, attempt}] -> one word per run, then `<run> <attempt>` of each run that it did not name
local answer, named = {}, {}
local ttl = setting("ttl_ms")
redis.call("ZADD", key("nodes_seen"), "XX", now, ask.node)

for _, held in ipairs(ask.held) do
  local run = held.run_id
  named[run .. " " .. held.attempt] = true
  if not holds(ask.node, run, held.attempt) then
    answer[#answer + 1] = "stale"
  else
    redis.call("ZADD", key("leased"), now + ttl, run)
    answer[#answer + 1] = field(key("run", run), "cancel") and "cancel" or "ok"
  end
end

for _, run in ipairs(redis.call("SMEMBERS", key("on", ask.node))) do
  local lease = run .. " " .. field(key("run", run), "attempt")
  if not named[lease] then answer[#answer + 1] = lease end
end
return answer
