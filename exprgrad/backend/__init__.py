"""Machine code: scheduled loops as LLVM IR, compiled in process, cached on disk."""
