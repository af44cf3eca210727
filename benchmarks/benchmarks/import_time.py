"""How long the first line of a script takes."""


class Import:
    """Each import in an interpreter of its own, the libraries below loaded before."""

    number = 1
    repeat = 10
    timeout = 120

    def timeraw_proxylm(self):
        return "import proxylm", "import sklearn, pandas"

    def timeraw_splitters(self):
        return "from proxylm import LeaveOneLanguageOut", "import sklearn, pandas"

    def timeraw_every_public_name(self):
        return (
            "import proxylm\nfor name in proxylm.__all__: getattr(proxylm, name)",
            "import sklearn, pandas, sklearn.model_selection",
        )

    def timeraw_scikit_learn_and_pandas(self):
        return "import sklearn, pandas"
