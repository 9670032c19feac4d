"""Doing an experiment: plan, tasks, engine, records."""
