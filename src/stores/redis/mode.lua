-- ask: node, drained (a text: why, "" where unsaid; absent = leases again) -> 1, or 0 for a node that never asked for work
if not redis.call("ZSCORE", key("nodes_seen"), ask.node) then return 0 end
if ask.drained then
  redis.call("HSET", key("drained"), ask.node, ask.drained)
else
  redis.call("HDEL", key("drained"), ask.node)
  ring_if_work_waits()
end
return 1
