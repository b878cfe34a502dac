"""`verify_bundle.py`: the verifier in one file that needs Python and `cryptography` alone, for receivers without us.

    build.py        writes the file: the loader, then the sources of the verifier's import closure as they are
    loader.py       its head: the warning, and an importer that finds modules in the file itself
    main.py         its command line
    models.py       stand-in for pydantic     arrays.py, transforms.py    stand-ins for numpy and scipy

There is no second verifier: what runs are the modules of `dpsynth.release.verify` and `accounting`, byte for byte, on
stand-ins for three libraries; PyYAML and rfc8785, which are plain Python, come along as they are.
"""
