"""What a user gets after training: one page with all figures, and the JSON beside it."""

from wakeword_train.report.facts import ReportFacts, WordFacts, as_json
from wakeword_train.report.gather import all_conditions, gather
from wakeword_train.report.page import write_report
from wakeword_train.report.text import table

__all__ = [
    "ReportFacts",
    "WordFacts",
    "all_conditions",
    "as_json",
    "gather",
    "table",
    "write_report",
]
