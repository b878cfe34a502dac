"""Audits of a differential-privacy claim: lower bounds on epsilon from what a mechanism or a generator puts out."""
