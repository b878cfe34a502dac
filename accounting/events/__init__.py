"""The event types, one file a family; `accounting.event` lists them and reads them from JSON."""
