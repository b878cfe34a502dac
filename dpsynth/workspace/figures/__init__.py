"""Figures about real rows that are bought: each is paid for, noisy and on record."""
