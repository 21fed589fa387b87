"""`flexsms demo`: the three jobs in a real Airflow against the local Twilio, as a story.

run.py            command line: start both, play, print, stay or leave
story.py          what is played, through Airflow's REST API
runs.py           runs of a DAG, triggered and waited for
stream.py         an agent's click, and how long it takes to the state in Sync
snapshot.py       every channel at one moment, read from the sandbox's own tables; knows the two stacks
outcome.py        what has to come out, worked out from two such moments, and what did
report.py         the tables at the end
view.py           the terminal
api.py            Airflow's REST API, as far as the story needs it
local_airflow.py  one `airflow standalone` in a home of its own
standalone.py     that Airflow, with a connection from the start; clockless.py: with nothing that runs by the clock
supervisor.py     the process that owns Airflow's processes, and leaves none behind
"""
