"""Running programs: functions of arrays, epochs of mini-batches, threads."""
