//! What the marks and the colours of the cells mean.

use crate::quality::picture::bands::{self, BANDS};
use crate::quality::picture::layout::{GAP, MARGIN};
use crate::quality::picture::page::{MIDDLE_LEFT, Page, Place};
use crate::quality::picture::palette::Ink;
use crate::quality::picture::text::SMALL;

/// What happens at an instant: each has a shape of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Somebody comes.
    Join,
    /// Somebody goes.
    Leave,
    /// A picture stands still.
    Freeze,
}

impl Mark {
    /// A join points into the time after it, a leave into the time before it.
    pub(super) fn draw(self, page: &mut Page, (x, y): Place) {
        match self {
            Self::Join => page.polygon(vec![(x, y - 5), (x + 8, y), (x, y + 5)], Ink::Mark),
            Self::Leave => page.polygon(vec![(x, y - 5), (x - 8, y), (x, y + 5)], Ink::Mark),
            Self::Freeze => {
                page.polygon(vec![(x, y - 5), (x + 4, y), (x, y + 5), (x - 4, y)], Ink::Freeze);
            }
        }
    }
}

enum Key {
    Cell(Ink),
    Mark(Mark),
}

pub(super) fn legend(page: &mut Page) {
    /// The width and height of a key.
    const SIDE: i32 = 12;
    let cells = BANDS.map(bands::look).map(|band| (Key::Cell(band.cell), band.name));
    let rest = [
        (Key::Cell(Ink::Empty), "no sample"),
        (Key::Mark(Mark::Join), "joins"),
        (Key::Mark(Mark::Leave), "leaves"),
        (Key::Mark(Mark::Freeze), "picture freezes"),
    ];
    page.y += 8;
    let mut x = MARGIN;
    for (key, words) in cells.into_iter().chain(rest) {
        let width = SIDE + GAP + SMALL.width(words);
        if x > MARGIN && x + width > page.layout.end {
            x = MARGIN;
            page.y += SIDE + GAP;
        }
        let (y, middle) = (page.y, page.y + SIDE / 2);
        match key {
            Key::Cell(ink) => {
                page.fill((x, y), (x + SIDE, y + SIDE), ink);
                page.outline((x, y), (x + SIDE, y + SIDE), Ink::Outline);
            }
            Key::Mark(Mark::Join) => Mark::Join.draw(page, (x + 2, middle)),
            Key::Mark(Mark::Leave) => Mark::Leave.draw(page, (x + SIDE - 2, middle)),
            Key::Mark(Mark::Freeze) => Mark::Freeze.draw(page, (x + SIDE / 2, middle)),
        }
        page.text(words, (x + SIDE + GAP, middle), SMALL, MIDDLE_LEFT, Ink::Text);
        x += width + 2 * GAP;
    }
    page.y += SIDE + GAP;
}
