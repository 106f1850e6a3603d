return reap()
