"""The promise of a release, from its privacy statement; the words are those of `plain_words`."""

from fedsynth_common.promise import plain_words
from fedsynth_common.promise.plain_words import Promise, Terms
from fedsynth_release.statement.privacy_statement import PrivacyStatement


def promise_of(statement: PrivacyStatement, records: float | None = None) -> Promise:
    """The promise of a statement; `records` is the number of all sites' records, if it is known."""
    if not statement.private:
        return _void(statement)
    terms = Terms(
        epsilon=statement.epsilon_if_people_are_at_one_site_only,
        delta=statement.delta,
        rows_per_person=statement.rows_per_person,
        cohorts_per_person=statement.cohorts_per_person,
        sites=len(statement.sites),
        everywhere=statement.epsilon_if_people_may_be_at_every_site,
        alone=statement.epsilon_if_all_others_work_together,
    )
    return plain_words.promise_of(terms, records)


def _void(statement: PrivacyStatement) -> Promise:
    reasons = "; ".join(caveat.removeprefix("not private: ") for caveat in statement.caveats)
    return Promise(
        light="poor",
        holds=False,
        headline="No privacy promise",
        protected=f"The privacy promise is void. The reason is: {reasons}.",
        attacker="",
        warnings=(
            "Handle the generator and the synthetic records with the same care as the real records. "
            "No figure about privacy in these documents protects anybody.",
        ),
    )
