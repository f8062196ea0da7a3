"""Files and configurations for the fuzzer of the loaders: whole ones, and ways to damage them."""
