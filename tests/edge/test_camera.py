"""Frames from real files, sound and damaged, and from cameras that are not there."""

import itertools
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge import camera as module
from edge import simulator
from edge.camera import Frame, Lost, Restarted, Signal, file_rate, frame_rate, read, watch
from edge.config import CameraConfig, CameraError, ConfigError
from tests.end_to_end.processes import wait_until

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames at 20 fps; frame n is as bright as 10 n."""
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for index in range(20):
        writer.write(np.full((48, 64, 3), 10 * index, np.uint8))
    writer.release()
    return path


def camera(source: object, **more: object) -> CameraConfig:
    return CameraConfig.model_validate({"id": "a", "source": str(source), **more})


def test_every_frame_comes_in_order_with_its_media_time(clip: Path) -> None:
    frames = list(read(clip, START))
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.time - START for frame in frames] == [
        timedelta(seconds=n / 20) for n in range(20)
    ]
    assert frames[0].image.shape == (48, 64, 3)
    np.testing.assert_allclose([f.image.mean() for f in frames], np.arange(0, 200, 10), atol=3)


def test_configured_fps_go_before_the_file_s(clip: Path) -> None:
    assert [frame.time - START for frame in read(clip, START, fps=4)][2] == timedelta(seconds=0.5)
    assert frame_rate(camera(clip, fps=4)) == 4
    assert frame_rate(camera(clip)) == file_rate(clip) == 20
    assert frame_rate(camera("rtsp://nowhere/")) == module.LIVE_FPS


@pytest.mark.parametrize(
    ("name", "frames", "fps"), [("store-aisle.gif", 67, 16.67), ("supermarket.mp4", 97, 7)]
)
def test_real_videos_decode_whole(shared: Path, name: str, frames: int, fps: float) -> None:
    path = shared / "video" / name
    assert sum(1 for _ in read(path, START)) == frames
    assert file_rate(path) == pytest.approx(fps, abs=0.01)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(CameraError, match=r"x\.mp4: not a video"):
        next(read(path, START))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no such file"):
        next(read(tmp_path / "none.mp4", START))


def test_a_file_without_a_rate_asks_for_one(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Rateless:
        def get(self, _: int) -> float:
            return float("nan")

        def release(self) -> None:
            pass

    monkeypatch.setattr(module, "_open_file", lambda _: Rateless())
    with pytest.raises(CameraError, match="set fps:"):
        file_rate(clip)


def test_a_cut_off_mp4_is_refused(shared: Path, tmp_path: Path) -> None:
    whole = (shared / "video/supermarket.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CameraError, match=r"cut\.mp4: .*cut off"):
        list(read(cut, START))


def test_a_cut_off_recording_gives_what_it_has_and_then_says_so(clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    frames = read(cut, START)
    assert len(list(itertools.islice(frames, 2))) == 2
    with pytest.raises(CameraError, match=r"cut\.avi: only \d+ of 20 frames .* cut off"):
        list(frames)


def film(path: Path, frames: int = 60, size: tuple[int, int] = (160, 120), fps: float = 10) -> Path:
    """Noise that moves, by the codec that FFmpeg has for such a name."""
    codec = cv2.VideoWriter.fourcc(*("MPG2" if path.suffix == ".ts" else "mp4v"))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, fps, size)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    for index in range(frames):
        writer.write(np.roll(noise, 3 * index, 1))
    writer.release()
    return path


def test_damage_in_the_middle_leaves_numbers_out_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = film(tmp_path / "film.mkv")
    content = bytearray(path.read_bytes())
    middle, length = len(content) // 2, len(content) // 6
    content[middle : middle + length] = np.random.default_rng(1).bytes(length)
    path.write_bytes(content)
    frames = list(read(path, START))
    assert 20 < len(frames) < 58
    numbers = [frame.index for frame in frames]
    assert (numbers[0], numbers[-1]) == (0, 59)
    assert numbers == sorted(set(numbers))
    assert [frame.time - START for frame in frames] == [timedelta(seconds=n / 10) for n in numbers]
    assert f"film.mkv: {60 - len(frames)} of 60 frames are missing or damaged" in caplog.text
    assert "mpeg4" not in capfd.readouterr().err


def test_a_file_of_variable_rate_is_dated_by_its_own_time(tmp_path: Path) -> None:
    animation = cv2.Animation()
    animation.frames = [np.full((48, 64, 3), 10 * n, np.uint8) for n in range(20)]
    animation.durations = [50, 90, 200, 130] * 5
    path = tmp_path / "slow.gif"
    assert cv2.imwriteanimation(str(path), animation)
    frames = list(read(path, START))
    assert [frame.index for frame in frames] == list(range(20))
    seconds = [(frame.time - START).total_seconds() for frame in frames]
    np.testing.assert_allclose(np.diff(seconds), [0.05, 0.09, 0.2, 0.13] * 4 + [0.05, 0.09, 0.2])
    given = [frame.time - START for frame in read(path, START, fps=10)]
    assert given == [timedelta(seconds=n / 10) for n in range(20)]
    watched = list(watch(camera(path), threading.Event()))
    assert [s.time - watched[0].time for s in watched] == [f.time - START for f in frames]


def test_two_recordings_of_two_sizes_in_one_file_go_on_in_time(tmp_path: Path) -> None:
    """Each begins at 0 by its own time; OpenCV gives the second in the first one's size."""
    path = tmp_path / "both.ts"
    parts = [film(tmp_path / "a.ts", 20, fps=25), film(tmp_path / "b.ts", 20, (64, 48), fps=25)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(read(path, START))
    assert len(frames) >= 38
    times = [frame.time - START for frame in frames]
    assert times == [timedelta(seconds=n / 25) for n in range(len(frames))]
    assert {frame.image.shape for frame in frames} == {(120, 160, 3)}


def test_a_header_with_no_rate_is_not_believed(clip: Path, tmp_path: Path) -> None:
    content = bytearray(clip.read_bytes())
    for tag, offset in ((b"avih", 8), (b"strh", 8 + 24)):
        place = content.find(tag) + offset
        content[place : place + 4] = bytes(4)
    path = tmp_path / "rateless.avi"
    path.write_bytes(content)
    assert file_rate(path) > 0
    assert len(list(read(path, START))) == 20


@given(
    stamps=some.lists(some.floats(-1e3, 1e6) | some.sampled_from([math.nan, math.inf]), max_size=40)
)
def test_whatever_a_file_says_time_goes_on(stamps: list[float]) -> None:
    clock = module._Clock(10.0)
    dated = [clock.date(stamp) for stamp in stamps]
    for (index, seconds), (later, after) in itertools.pairwise(dated):
        assert later > index
        assert seconds < after < seconds + module.GAP_SECONDS + 0.1
    assert dated[:1] == [(0, 0.0)][: len(dated)]


@given(
    fps=some.sampled_from([7.0, 10.0, 25.0, 29.97]),
    first=some.floats(0, 100),
    there=some.lists(some.integers(1, 5), max_size=40),
)
def test_a_file_of_constant_rate_is_dated_by_the_grid(
    fps: float, first: float, there: list[int]
) -> None:
    """Its stamps are rounded to milliseconds, and some frames are missing."""
    clock = module._Clock(fps)
    places = list(itertools.accumulate(there, initial=0))
    assert [clock.date(round(first + n / fps, 3)) for n in places] == [(n, n / fps) for n in places]


class Clock(threading.Event):
    """A stop that never comes: time goes on when somebody waits for it, and then alone."""

    seconds = 100.0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds += timeout
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("edge.camera.time.monotonic", lambda: clock.seconds)
    return clock


def test_a_watched_file_comes_in_real_time_and_ends(clip: Path, clock: Clock) -> None:
    came = [(clock.seconds, type(signal)) for signal in watch(camera(clip, fps=40), clock)]
    assert [kind for _, kind in came] == [Frame] * 20
    assert [time for time, _ in came] == pytest.approx([100 + n / 40 for n in range(20)])


def test_a_loop_says_that_it_begins_again_and_its_time_goes_on(clip: Path) -> None:
    signals = []
    for signal in watch(camera(clip, fps=200, loop=True), threading.Event()):
        signals.append(signal)
        if len(signals) == 50:
            break
    again = [n for n, signal in enumerate(signals) if isinstance(signal, Restarted)]
    assert again == [20, 41]
    times = [signal.time for signal in signals]
    assert times == sorted(times)
    first = signals[21]
    assert isinstance(first, Frame)
    assert first.time - times[0] == timedelta(seconds=20 / 200)


def test_a_slow_reader_gets_every_frame(clip: Path) -> None:
    count = 0
    for _ in watch(camera(clip, fps=200), threading.Event()):
        time.sleep(0.02)
        count += 1
    assert count == 20


@pytest.mark.parametrize("source", ["FILE", "http://127.0.0.1:9/"])
def test_stop_is_obeyed_at_once(clip: Path, source: str) -> None:
    """The file would last 95 seconds, and the camera is never given up."""
    stop = threading.Event()
    signals: list[Signal] = []
    watched = watch(camera(source.replace("FILE", str(clip)), fps=0.2), stop)
    thread = threading.Thread(target=lambda: signals.extend(watched), daemon=True)
    thread.start()
    assert not stop.wait(0.3)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert all(isinstance(signal, Frame) for signal in signals)


def test_a_camera_that_is_not_there_is_told_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STALE_SECONDS", 0.1)
    signals = watch(camera("http://127.0.0.1:9/"), threading.Event())
    for _ in range(2):
        signal = next(signals)
        assert isinstance(signal, Lost)
        assert signal.cause == "offline"


def test_a_live_camera_that_goes_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, lost = [], threading.Event()

    class Camera:
        """Gives 3 pictures at each opening, then nothing; it comes back once it is missed."""

        def __init__(self, *_: object) -> None:
            opened.append(self)
            self.left = 3
            if len(opened) == 2:
                assert lost.wait(30)

        def grab(self) -> bool:
            time.sleep(0.02)
            self.left -= 1
            return self.left >= 0

        def retrieve(self) -> tuple[bool, object]:
            return True, np.full((4, 4, 3), len(opened), np.uint8)

        def release(self) -> None:
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(module, "STALE_SECONDS", 0.05)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.01, 0.01))
    kinds: list[type[Signal]] = []
    for signal in watch(camera("rtsp://nowhere/", fps=200), threading.Event()):
        kinds.append(type(signal))
        if kinds[-1] is Lost and Frame in kinds:
            lost.set()
        if len(opened) == 2 and kinds[-1] is Frame and lost.is_set():
            break
    assert [kind for kind, _ in itertools.groupby(kinds)][-3:] == [Frame, Lost, Frame]


class Live:
    """A camera of 100 frames a second; every third one is damaged, if it `is_damaged`."""

    is_damaged = False
    picture = np.full((4, 4, 3), 7, np.uint8)
    opened: "Live"

    def __init__(self, *_: object) -> None:
        self.grabbed = 0
        Live.opened = self

    def grab(self) -> bool:
        time.sleep(0.01)
        self.grabbed += 1
        return True

    def retrieve(self) -> tuple[bool, object]:
        if self.is_damaged and self.grabbed % 6 == 3:
            raise cv2.error("no picture")
        return not self.is_damaged or self.grabbed % 6 != 0, self.picture

    def release(self) -> None:
        pass


def taken(count: int, between: Callable[[], object] = bool, **more: object) -> list[Frame]:
    frames = []
    for signal in watch(camera("rtsp://nowhere/", **more), threading.Event()):
        assert isinstance(signal, Frame)
        frames.append(signal)
        if len(frames) == count:
            break
        between()
    return frames


def test_a_frame_that_nobody_took_leaves_its_number_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Live)

    def five_go_by() -> None:
        goal = Live.opened.grabbed + 5
        wait_until(lambda: Live.opened.grabbed >= goal, 30, "the camera goes on")

    frames = taken(5, five_go_by, fps=100)
    assert frames[-1].index >= 10
    assert frames == sorted(frames, key=lambda each: each.index)


def test_a_frame_that_nobody_wants_is_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Live)
    frames = taken(4, fps=2)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert (frames[-1].time - frames[0].time).total_seconds() > 1


def test_a_damaged_picture_is_dropped_and_the_camera_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Live)
    monkeypatch.setattr(Live, "is_damaged", True)
    frames = taken(8, fps=200)
    assert frames[-1].index >= 10


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 4)])
def test_grey_and_transparent_pictures_are_bgr(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Live)
    monkeypatch.setattr(Live, "picture", np.full(shape, 9, np.uint8))
    (frame,) = taken(1)
    np.testing.assert_array_equal(frame.image, np.full((4, 6, 3), 9))


SCENE = "sim://boutique?people=3&minutes=0.01&fps=20&size=160x90"


def test_a_rendered_store_is_read_like_a_file() -> None:
    frames = list(read(SCENE, START))
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time - START for frame in frames] == [
        timedelta(seconds=n / 20) for n in range(12)
    ]
    drawn = simulator.pictures(simulator.parse(SCENE))
    for frame, picture in zip(frames, drawn, strict=True):
        np.testing.assert_array_equal(frame.image, picture)
    assert [frame.time - START for frame in read(SCENE, START, fps=4)][2] == timedelta(seconds=0.5)


def test_a_rendered_store_has_a_rate() -> None:
    assert file_rate(SCENE) == 20
    assert frame_rate(camera(SCENE)) == 20
    assert frame_rate(camera(SCENE, fps=5)) == 5


def test_a_watched_rendered_store_comes_in_real_time_and_loops(clock: Clock) -> None:
    signals = list(watch(camera(SCENE), clock))
    assert [type(signal) for signal in signals] == [Frame] * 12
    assert clock.seconds == pytest.approx(100 + 11 / 20)
    kinds = []
    for signal in watch(camera(SCENE, loop=True), clock):
        kinds.append(type(signal))
        if len(kinds) == 20:
            break
    assert kinds.index(Restarted) == 12
    assert kinds.count(Frame) == 19


@pytest.mark.parametrize("use", [file_rate, lambda source: next(read(source, START))])
def test_a_rendered_store_that_there_is_not_is_refused(use: Callable[[str], object]) -> None:
    with pytest.raises(ConfigError, match='no rendered store "kiosk"'):
        use("sim://kiosk")


def test_a_wrong_scene_is_not_waited_for() -> None:
    with pytest.raises(ConfigError, match="people=0"):
        list(watch(camera("sim://boutique?people=0"), threading.Event()))
