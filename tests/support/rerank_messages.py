"""LamRA-Rank's turns as its released source puts them together (arXiv:2412.01720): a reference for our prompts.

An item is dict(text=str, image=bool). The master branch continues its string literals over the end of a line, so the
next line's indentation is part of the text; the other branch has one blank in its place.
"""

POINTWISE = ("I will provide you with a query and a candidate. Please evaluate whether the candidate{gap}meets the "
             "requirements of the query. If it does, respond with 'Yes'; if it doesn't, responed with 'No'.")
LISTWISE = ("I will provide you with a query followed by multiple candidates in the format: (1) cand1 (2) cand2, etc. "
            "Each candidate is independent of the others.{gap}Evaluate each candidate against the query, and respond "
            "with the number corresponding to the candidate that best meets the requirements of the query.")
GAPS = dict(master=(24, 25), single_space=(1, 1))


def text_part(text: str) -> dict:
    return dict(type="text", text=text)


def parts_of(item: dict) -> list[dict]:
    return [dict(type="image")] * item["image"] + ([text_part(item["text"])] if item["text"] else [])


def pointwise(query: dict, candidate: dict, spacing: str) -> list[dict]:
    content = [text_part(POINTWISE.format(gap=" " * GAPS[spacing][0])), text_part("Query:"), *parts_of(query),
               text_part("Candidate:"), *parts_of(candidate)]
    return [dict(role="user", content=content)]


def listwise(query: dict, candidates: list[dict], spacing: str) -> list[dict]:
    content = [text_part(LISTWISE.format(gap=" " * GAPS[spacing][1])), text_part("Query:"), *parts_of(query),
               text_part("Candidates:")]
    for number, candidate in enumerate(candidates, 1):
        content += [text_part(f"({number}) "), *parts_of(candidate)]
    return [dict(role="user", content=content)]


def answered(messages: list[dict], answer: str) -> list[dict]:
    return [*messages, dict(role="assistant", content=[text_part(answer)])]


def first_label(ids: list[int], start_id: int) -> int:
    """Where the assistant's turn begins: what stands before it has no label."""
    return [i for i, token in enumerate(ids) if token == start_id][2]
