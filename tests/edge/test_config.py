"""Configuration files: what they mean, and that a mistake is named with its place and its fix."""

import textwrap
from pathlib import Path

import pytest

from edge.config import (
    CameraConfig,
    ConfigError,
    load_agent,
    load_camera,
)

CAMERA = """\
id: door
source: rtsp://10.0.0.7/main
zones:
  - id: till
    name: Till
    role: service
    polygon: [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]
lines:
  - id: entrance
    name: Entrance
    role: entrance
    points: [[0.0, 0.5], [1.0, 0.5]]
"""

AGENT = """\
site: leeds
device: door-1
name: Front door
model: model.onnx
state: state
broker: {{host: broker.local, password: "${{BROKER_PASSWORD}}"}}
cameras:
  - door.yaml
{more}"""


def write(folder: Path, text: str, name: str = "door.yaml") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BROKER_PASSWORD", "open-sesame")
    write(tmp_path, CAMERA)
    return write(tmp_path, AGENT.format(more=""), "agent.yaml")


def test_a_camera_has_its_defaults(tmp_path: Path) -> None:
    camera = load_camera(write(tmp_path, CAMERA))
    assert (camera.name, camera.floor, camera.loop, camera.homography) == (
        "door",
        "ground",
        False,
        None,
    )
    assert camera.zones[0].polygon[1] == (0.5, 0.1)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("zones:", "zonse:", 3, 'zonse: unknown key; did you mean "zones"?'),
        (
            "    role: service",
            "    rôle: service",
            6,
            'zones[0].rôle: unknown key; did you mean "role"',
        ),
        ("role: service", "role: till", 6, "zones[0].role: input should be 'queue', 'service'"),
        (
            "[[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]",
            "[[0.1, 0.1], [0.5, 0.1]]",
            7,
            "at least 3 corners",
        ),
        (
            "[[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]",
            "[[0.1, 0.1], [0.5, 0.5], [0.5, 0.1], [0.1, 0.5]]",
            7,
            "cross or touch: give the corners in order",
        ),
        ("[0.5, 0.5]]", "[0.5, 1.5]]", 7, "without a homography, x and y are fractions"),
        ("[1.0, 0.5]]", "[100, 50]]", 12, "lines[0].points[1]: outside the picture"),
        (
            "points: [[0.0, 0.5], [1.0, 0.5]]",
            "points: [[0.0, 0.5]]",
            12,
            "at least 2 points, not 1",
        ),
        ("[1.0, 0.5]]", "[0.0, 0.5]]", 12, "the same point twice running"),
        ("- id: till", "- id: Till", 4, "zones[0].id: 'Till' is no id"),
        (
            "  - id: till\n    name: Till",
            "  - name: Till",
            4,
            "zones[0].id: missing; add `id: ...`",
        ),
        ("source: rtsp://10.0.0.7/main\n", "", 1, "source: missing"),
        ("rtsp://10.0.0.7/main", "${NO_SUCH_THING}/x", 2, "the environment has no NO_SUCH_THING"),
        ("lines:", "zones:", 8, "zones: the key stands here a second time"),
        ("lines:", "lines: [", 9, "not YAML"),
        (
            "id: door",
            "id: door\nmin_confidence: 35",
            2,
            "min_confidence: input should be less than 1",
        ),
        ("id: door", "id: door\nfps: .nan", 2, "fps: input should be"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in CAMERA
    path = write(tmp_path, CAMERA.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_camera(path)
    assert f"{path}:{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_every_mistake_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, CAMERA.replace("role: service", "role: x").replace("lines:", "lnies:"))
    with pytest.raises(ConfigError) as caught:
        load_camera(path)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("content", ["", "- 1\n- 2\n", "id: [", "\x00", "just text"])
def test_what_is_no_camera_file_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match=r"door\.yaml"):
        load_camera(write(tmp_path, content))


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_camera(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_camera(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([(0, 0), (1, 0), (1, 1)], "at least 4 point pairs, not 3"),
        ([(0, 0), (0.5, 0.5), (1, 1), (0.2, 0.9)], "lie on one line"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "contradict one another"),
    ],
)
def test_a_homography_must_be_determined(pairs: list[tuple[float, float]], words: str) -> None:
    square = [(0, 0), (4, 0), (4, 4), (0, 4)]
    if "line" in words:
        square = [(0, 0), (2, 2), (4, 4), (1, 3)]
    homography = [
        {"pixel": pixel, "floor": floor} for pixel, floor in zip(pairs, square, strict=False)
    ]
    with pytest.raises(ValueError, match=words):
        CameraConfig.model_validate({"id": "a", "source": "0", "homography": homography})


@pytest.mark.parametrize(
    ("source", "environment", "expected"),
    [
        ("0", {}, "0"),
        ("${CAMERA}", {"CAMERA": "rtsp://a:b@c/d"}, "rtsp://a:b@c/d"),
        ("${CAMERA:-http://fallback/}", {}, "http://fallback/"),
        ("${CAMERA:-http://fallback/}", {"CAMERA": "http://set/"}, "http://set/"),
        ("here.mp4", {}, "here.mp4"),
        ("beside.mp4", {}, "FOLDER/beside.mp4"),
        ("nowhere.mp4", {}, "nowhere.mp4"),
    ],
)
def test_a_source_is_expanded_and_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    environment: dict[str, str],
    expected: str,
) -> None:
    folder, current = tmp_path / "configs", tmp_path / "current"
    folder.mkdir()
    current.mkdir()
    (folder / "beside.mp4").touch()
    (folder / "here.mp4").touch()
    (current / "here.mp4").touch()
    monkeypatch.chdir(current)
    monkeypatch.delenv("CAMERA", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    camera = load_camera(write(folder, f"id: a\nsource: {source}\n"))
    assert camera.source == expected.replace("FOLDER", str(folder))


def test_an_agent_reads_its_cameras_from_beside_it(agent: Path) -> None:
    config = load_agent(agent)
    assert [camera.id for camera in config.cameras] == ["door"]
    assert config.broker.password is not None
    assert config.broker.password.get_secret_value() == "open-sesame"
    assert config.step(config.cameras[0]) == config.fraction_step


def test_a_camera_file_s_mistakes_are_told_with_the_agent_s_own(agent: Path) -> None:
    write(agent.parent, CAMERA.replace("zones:", "zonse:"))
    agent.write_text(agent.read_text().replace("site:", "sight:"))
    with pytest.raises(ConfigError) as caught:
        load_agent(agent)
    assert "door.yaml:3: zonse" in str(caught.value)
    assert 'agent.yaml:1: sight: unknown key; did you mean "site"?' in str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("  - door.yaml\n", 'a second camera "door"'),
        (
            "  - {id: b, source: 1, zones: [{id: till, name: Other, role: service, "
            "polygon: [[0, 0], [1, 0], [1, 1]]}]}\n",
            'agent.yaml:9: cameras[1].zones[0]: zone "till" is another on an earlier camera',
        ),
        (
            "  - {id: b, source: 1, homography: [{pixel: [0, 0], floor: [0, 0]}, "
            "{pixel: [1, 0], floor: [4, 0]}, {pixel: [1, 1], floor: [4, 4]}, "
            "{pixel: [0, 1], floor: [0, 4]}]}\n",
            "with and without a homography",
        ),
        ("device: central\n", "second time"),
    ],
)
def test_cameras_of_a_device_must_agree(agent: Path, more: str, words: str) -> None:
    agent.write_text(agent.read_text() + more)
    with pytest.raises(ConfigError) as caught:
        load_agent(agent)
    assert words in str(caught.value)


def test_central_is_no_device_and_secrets_are_not_shown(agent: Path) -> None:
    text = agent.read_text().replace("door-1", "central").replace("port", "prot")
    agent.write_text(text.replace("host: broker.local", "host: [broker.local]"))
    with pytest.raises(ConfigError) as caught:
        load_agent(agent)
    assert "no device's name" in str(caught.value)
    assert "open-sesame" not in str(caught.value)
