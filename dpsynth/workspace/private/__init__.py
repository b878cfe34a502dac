"""The room of private rows: who opens them, which are drawn, split and bounded, and the doors out."""
