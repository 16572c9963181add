"""People as rows of an array: what they look like, and their bodies in metres as they walk."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
People = npt.NDArray[np.void]

PERSON = np.dtype(
    [
        ("id", "i8"),
        ("staff", "?"),
        ("position", "f8", 2),
        ("heading", "f8"),
        ("pace", "f8"),
        ("phase", "f8"),
        ("reach", "f8"),
        ("height", "f8"),
        ("build", "f8"),
        ("top", "u1", 3),
        ("bottom", "u1", 3),
        ("hair", "u1", 3),
        ("skin", "u1", 3),
        ("shoes", "u1", 3),
        ("extra", "u1", 3),
        ("long_hair", "?"),
        ("skirt", "?"),
        ("short_sleeves", "?"),
        ("carries", "i1"),
    ]
)
"""Who is where and looks how. Heading in radians on the plan, pace in m/s, phase in radians of a
cycle of two steps, reach from 0 (arms down) to 1 (a hand out), build about 1, colours in BGR;
`carries` 0 nothing, 1 a basket, 2 a bag on the back."""


def _colours(text: str) -> npt.NDArray[np.uint8]:
    rgb = [[int(word[i : i + 2], 16) for i in (0, 2, 4)] for word in text.split()]
    return np.array(rgb, np.uint8)[:, ::-1]


TOPS = _colours(
    "2f3e4e 1f2933 e8e4da c9504a d98e3f e0b84c 5b7f5e 3f6c8f 7fa6c4 7a5c86 b7707f 8d9299 "
    "f3f1ec 454b54 a34b3c 4f7d83 c7a98b 26324a 9fb08a d4cfc4 6b4a3a e3a59a 31494b 111417"
)
BOTTOMS = _colours("25303c 1a1d22 3d4f68 56677f 6b6358 8a7c69 2b2b2f 47525e b5a88f 34404a")
HAIRS = _colours("1b1614 2a1f19 3b2a20 5a3f2a 7d5a36 a98754 c7b299 8c8c8c d8d5cf 4a2a1c")
SKINS = _colours("f0cdb4 e5b897 d6a17c c08a62 a06c48 7d5236 5d3c28 f4d9c6")
SHOES = _colours("1c1c1e 2d2a28 e6e6e3 6d4f37 3a4656 f0efe9 8a2f2a")
BAGS = _colours("3b3f46 7a4b34 a33b3a 2f5d62 d9a441 1f2b3d")
UNIFORM = _colours("1f7a5c 23272e")

ANKLE, KNEE, HIP, SHOULDER, NECK, HEAD = 0.045, 0.275, 0.515, 0.80, 0.855, 0.925
"""Heights of the joints of an upright body, in body heights."""
CYCLE = 1.35
"""Metres walked in two steps."""

HIPS, KNEES, ANKLES, TOES = (0, 4), (1, 5), (2, 6), (3, 7)
SHOULDERS, ELBOWS, HANDS = (8, 11), (9, 12), (10, 13)
"""Joints of the left and the right."""
NECK_JOINT, HEAD_JOINT, FACE_JOINT, HAIR_JOINT, BAG_JOINT, BAG_END = range(14, 20)
JOINTS = 20
RADII = np.array(
    [0.056, 0.036, 0.026, 0.024] * 2
    + [0.044, 0.029, 0.023] * 2
    + [0.030, 0.062, 0.050, 0.063, 0.07, 0.07],
    np.float32,
)
"""(joints,) half the thickness of the body at each joint, in body heights."""


def dressed(rng: np.random.Generator, count: int, staff: bool = False) -> People:
    """(count,) people with looks of their own, standing at the origin."""
    people = np.zeros(count, PERSON)
    child = rng.random(count) < 0.06
    people["height"] = np.where(
        child, rng.uniform(1.15, 1.45, count), np.clip(rng.normal(1.70, 0.09, count), 1.48, 1.96)
    )
    people["build"] = np.clip(rng.normal(1.0, 0.11, count), 0.8, 1.35)
    palettes = (TOPS, BOTTOMS, HAIRS, SKINS, SHOES, BAGS)
    for name, palette in zip(
        ("top", "bottom", "hair", "skin", "shoes", "extra"), palettes, strict=True
    ):
        people[name] = palette[rng.integers(len(palette), size=count)]
    people["long_hair"] = rng.random(count) < 0.42
    people["skirt"] = people["long_hair"] & (rng.random(count) < 0.35)
    people["short_sleeves"] = rng.random(count) < 0.35
    people["carries"] = rng.choice(3, count, p=(0.5, 0.3, 0.2))
    people["phase"] = rng.uniform(0, 2 * np.pi, count)
    if staff:
        people["staff"] = True
        people["height"] = np.clip(rng.normal(1.72, 0.08, count), 1.55, 1.92)
        people["top"], people["bottom"] = UNIFORM
        people["skirt"], people["carries"] = False, 0
    return people


def joints(people: People) -> Floats:
    """(n, joints, 3) where the joints of people are, in metres, z up.

    Legs and arms swing as a sine of the phase, the knee bends as its leg comes forward, and the
    hips sink until the lower foot stands on the floor.
    """
    count = len(people)
    stride = np.minimum(people["pace"] / 1.15, 1.15)
    sides = np.array([1.0, -1.0])
    apart = people["build"][:, None] * sides
    # Of the left and the right (n, 2); the arms swing against the legs.
    swing = (0.44 * stride * np.sin(people["phase"]))[:, None] * sides
    lift = np.maximum(np.cos(people["phase"])[:, None] * sides, 0)
    low = swing - stride[:, None] * (0.12 + 0.85 * lift)

    # Of each joint: forward, to the left, up; in body heights.
    body = np.zeros((count, JOINTS, 3))
    legs = body[:, :8].reshape(count, 2, 4, 3)
    knee = (HIP - KNEE) * np.sin(swing), -(HIP - KNEE) * np.cos(swing)
    sin, cos = np.sin(low), np.cos(low)
    ankle = knee[0] + (KNEE - ANKLE) * sin, knee[1] - (KNEE - ANKLE) * cos
    hips = ANKLE - ankle[1].min(axis=1)
    toe = ankle[0] + 0.075 * cos, ankle[1] - 0.018 + 0.075 * sin
    for joint, (forward, up) in enumerate((knee, ankle, toe), start=1):
        legs[:, :, joint, 0], legs[:, :, joint, 2] = forward, up
    legs[..., 1] = 0.05 * apart[..., None]
    legs[..., 2] += hips[:, None, None]
    legs[:, :, 3, 2] = np.maximum(legs[:, :, 3, 2], 0.022)

    lean, rise = 0.035 * stride, hips - HIP
    arms = body[:, 8:14].reshape(count, 2, 3, 3)
    reach = people["reach"][:, None] * (0.15, 1.0)
    raised = -0.75 * swing * (1 - reach) + 1.15 * reach
    bent = raised + 0.25 + 0.25 * stride[:, None] + 0.15 * reach
    arms[..., 0] = lean[:, None, None]
    arms[..., 1] = apart[..., None] * (0.118, 0.137, 0.135)
    arms[..., 2] = SHOULDER + rise[:, None, None]
    arms[:, :, 1:, 0] += (0.175 * np.sin(raised))[..., None]
    arms[:, :, 1:, 2] -= (0.175 * np.cos(raised))[..., None]
    arms[:, :, 2, 0] += 0.165 * np.sin(bent)
    arms[:, :, 2, 2] -= 0.165 * np.cos(bent)

    # Neck, head, face, hair; and a bag on the back, a basket in the left hand, or nothing: within.
    body[:, 14:, 0] = lean[:, None] + (0.0, 0.008, 0.03, -0.012, -0.10, -0.11)
    body[:, 14:, 2] = rise[:, None] + (NECK, HEAD, HEAD - 0.012, HEAD + 0.014, 0.74, 0.60)
    body[people["carries"] == 0, 18:] = 0.0, 0.0, HIP
    basket = people["carries"] == 1
    hand = body[basket, None, 10]
    body[basket, 18:] = hand + np.array([[0.06, 0.03, -0.10], [-0.06, 0.03, -0.10]])

    body *= people["height"][:, None, None]
    cos, sin = np.cos(people["heading"])[:, None], np.sin(people["heading"])[:, None]
    forward, left = body[..., 0].copy(), body[..., 1]
    # With y down the plan, the left hand of one who looks right is up the plan.
    body[..., 0] = people["position"][:, :1] + cos * forward + sin * left
    body[..., 1] = people["position"][:, 1:] + sin * forward - cos * left
    return body
