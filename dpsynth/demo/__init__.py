"""The whole way on real data that ships inside a dependency: `dpsynth demo`."""
