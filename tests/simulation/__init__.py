"""The worker's order machine in virtual time, against adversarial brokers and ledgers; `python -m tests.simulation --help`.

What is under test is built in worker.py alone. A run is a plan (plan.py, all its dice thrown from one seed) played in a world
(loop.py, episode.py): a broker with habits (habits.py, broker.py, accounts.py, book.py, wire.py) that keeps the truth
(truth.py), a network that loses things (network.py), processes that die and pause (process.py), a ledger (ledger.py,
server.py, records.py, rate.py). A judge sees all of it (judge.py, meters.py), remembers what each process was shown
(witness.py) and checks the ends (rules.py). history.py, report.py and shrink.py make a failing run readable. toy.py,
patience.py and patient.py test the judge itself.
"""
