"""A console for the people who decide: the queue of drafts, their evidence, the ledger, the budgets; on this machine.

Read-mostly. Everything it writes is written by the function that the command line calls, with a key that was given when
the console was started; the pages hold no secret. Not imported by anything but `dpsynth console`.

    access.py     who may look: a token from the terminal, a signed session, CSRF tokens, headers that forbid scripts
    views.py      what a page shows, read from workspace and ledger at each request
    acts.py       which acts are offered, and to whose keys
    pages.py      the pages
    actions.py    what a person decides here: each a form, a signed ledger entry, and the page again
    app.py        routes and middleware
    serve.py      the server: loopback, or TLS
"""
