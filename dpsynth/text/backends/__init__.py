"""Language models behind one protocol: our own small ones, and adapters to engines."""
