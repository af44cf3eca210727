"""Made-up sentences with a grammar, to learn from where there are no real texts."""

import itertools
import random

CONSONANTS, VOWELS = "ptkbdgmnslrvfjz", "aeiou"
N_NOUNS, N_VERBS, N_ADJECTIVES = 60, 30, 24
# Of the target language: by gender and number, what adjectives end in; by number what
# nouns and verbs end in; and what the object of a sentence ends in.
ADJECTIVE_ENDINGS = {(0, 0): "o", (0, 1): "os", (1, 0): "a", (1, 1): "as"}
PLURAL, VERB_ENDINGS, OBJECT = "ir", ("t", "nt"), "um"


def make_words(n_words, n_syllables, rng, taken):
    """Return different words of so many syllables."""
    words = []
    while len(words) < n_words:
        word = "".join(
            rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(n_syllables)
        )
        if word not in taken:
            taken.add(word)
            words.append(word)
    return words


class Grammar:
    """Two languages: the same lexicon of meanings, other words, order and agreement.

    The source has subject, verb, object, adjectives before nouns and plurals by a word
    of their own. The target has subject, object, verb, adjectives behind nouns, which
    agree with the gender and number of the noun; the verb agrees with the subject, and
    objects have a case.
    """

    def __init__(self, seed):
        rng, taken = random.Random(seed), set()
        counts = (N_NOUNS, N_VERBS, N_ADJECTIVES)
        self.source = [make_words(n, 2, rng, taken) for n in counts]
        self.target = [make_words(n, 2, rng, taken) for n in counts]
        self.genders = [rng.randrange(2) for _ in range(N_NOUNS)]

    def noun_phrase(self, rng, is_object):
        """Return a noun with adjectives in both languages, and its number."""
        noun, number = rng.randrange(N_NOUNS), rng.randrange(2)
        adjectives = rng.sample(range(N_ADJECTIVES), rng.choice((0, 1, 1, 2)))
        source = [self.source[2][a] for a in adjectives] + [self.source[0][noun]]
        source = (["many"] if number else ["one"]) + source
        ending = ADJECTIVE_ENDINGS[self.genders[noun], number]
        word = self.target[0][noun] + PLURAL * number + OBJECT * is_object
        target = [word] + [self.target[2][a] + ending for a in adjectives]
        return source, target, number

    def sentence(self, rng):
        """Return a sentence in both languages."""
        subject, subject_target, number = self.noun_phrase(rng, False)
        thing, thing_target, _ = self.noun_phrase(rng, True)
        verb = rng.randrange(N_VERBS)
        source = [*subject, self.source[1][verb], *thing]
        verb_target = self.target[1][verb] + VERB_ENDINGS[number]
        return " ".join(source), " ".join([*subject_target, *thing_target, verb_target])


def make_sentences(n_pairs, seed):
    """Return different sentences of a made-up language with their translations."""
    grammar, rng = Grammar(seed), random.Random(seed + 1)
    pairs = {}
    while len(pairs) < n_pairs:
        source, target = grammar.sentence(rng)
        pairs[source] = target
    return list(pairs.items())


INTENTS = {
    "alarm_set": ("wake me up {at}", "set an alarm {at}", "alarm {on} {at} please"),
    "alarm_remove": ("remove the alarm {at}", "cancel my alarm {on}"),
    "weather_query": ("what is the weather in {place} {on}", "will it rain {on}"),
    "play_music": ("play {song} by {artist}", "i want to hear {artist}"),
    "music_likeness": ("i love {song}", "save that i like {artist}"),
    "transport_taxi": ("call a taxi to {place} {at}", "i need a ride to {place}"),
    "transport_ticket": ("book a train to {place} {on}", "ticket to {place} {at}"),
    "email_send": ("write to {person} about {topic}", "email {person} {on}"),
    "calendar_set": ("meeting with {person} {on} {at}", "remind me of {topic} {on}"),
    "calendar_query": ("what do i have {on}", "when do i meet {person}"),
}
PLACES = "oslo lima accra quito hanoi dakar riga turin kyoto perth".split()
NAMES = "anna omar mei ravi lucy tomas aisha igor nadia paul".split()
TOPICS = "budget,the trip,school,rent,the garden,lunch,the report".split(",")
FILLERS = {
    "at": ("time", [f"at {h} {m}" for h in range(1, 13) for m in ("am", "pm")]),
    "on": ("date", "today,tomorrow,on monday,on friday,next week".split(",")),
    "place": ("place_name", PLACES),
    "person": ("person", NAMES),
    "artist": ("artist_name", [f"{n} and the {p}s" for n in NAMES for p in PLACES[:5]]),
    "song": ("song_name", [f"song of {n}" for n in NAMES]),
    "topic": ("event_name", TOPICS),
}
OPENINGS = ("", "please ", "hey ", "can you ", "ok ")


def make_request(rng):
    """Return an utterance, its intent, and the utterance with its slots annotated."""
    intent = rng.choice(sorted(INTENTS))
    template = rng.choice(OPENINGS) + rng.choice(INTENTS[intent])
    words, annotated = {}, {}
    for name, (slot, values) in FILLERS.items():
        value = rng.choice(values)
        words[name], annotated[name] = value, f"[{slot} : {value}]"
    return template.format(**words), intent, template.format(**annotated)


def make_requests(n_pairs, task, seed):
    """Return different utterances with what is to be written of them."""
    rng, pairs = random.Random(seed), {}
    for number in itertools.count():
        utterance, intent, annotated = make_request(rng)
        pairs[utterance] = intent if task == "intent" else annotated
        if len(pairs) == n_pairs or number > 100 * n_pairs:
            return list(pairs.items())
