"""What loads each record table, by its name."""

from ._fetch import fetch_intent, fetch_mt560, fetch_nusa, fetch_slot
from ._udhr import load_udhr_records

LOADERS = {
    "udhr": load_udhr_records,
    "mt560": fetch_mt560,
    "nusa": fetch_nusa,
    "intent": fetch_intent,
    "slot": fetch_slot,
}
