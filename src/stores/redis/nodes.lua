-- -> [node, facts, last_seen, drained because (or nil), runs…]
local answer = {}
local seen = redis.call("ZRANGE", key("nodes_seen"), 0, -1, "WITHSCORES")
for i = 1, #seen, 2 do
  local node = seen[i]
  local running = {}
  local leases = redis.call("HGETALL", key("leases", node))
  for j = 1, #leases, 2 do running[#running + 1] = leases[j] .. " " .. leases[j + 1]:match("^%d+") end
  answer[#answer + 1] = {
    node, redis.call("HGET", key("nodes"), node), seen[i + 1], redis.call("HGET", key("drained"), node), running,
  }
end
return answer
