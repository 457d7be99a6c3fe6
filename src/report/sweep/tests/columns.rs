//! The Parquet file, read back.

use std::fs;
use std::io::Write as _;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field as Cell, Row};

use crate::event::{Found, SweepSink as _};
use crate::report::sweep::testkit::{end, found, run, tell};
use crate::report::sweep::*;

fn rows(path: &std::path::Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(Result::unwrap).collect()
}

fn sink(path: &std::path::Path) -> SweepParquet<WholeFile> {
    SweepParquet::new(WholeFile::create(path).unwrap(), &Fields::default(), WholeFile::publish)
}

#[test]
fn what_was_found_stands_in_the_columns() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("found.parquet");
    tell(sink(&path), &run(), &found(), &end());
    let shown: Vec<String> = rows(&path).iter().map(|row| row.to_string()).collect();
    insta::assert_snapshot!(shown.join("\n"));
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let notes = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let keys: Vec<&str> = notes.iter().map(|note| note.key.as_str()).collect();
    assert_eq!(keys, ["shakedown.run", "shakedown.summary"]);
}

#[test]
fn groups_of_rows_are_bounded_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("found.parquet");
    let all: Vec<Found> = (0..150_000_u32)
        .map(|at| {
            let mut found = found()[at as usize % 8].clone();
            found.addr = std::net::Ipv4Addr::from(at).into();
            found
        })
        .collect();
    tell(sink(&path), &run(), &all, &end());
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let groups = reader.metadata().row_groups();
    assert_eq!(
        groups.iter().map(|group| group.num_rows()).collect::<Vec<_>>(),
        [65_536, 65_536, 18_928]
    );
    let rows = rows(&path);
    assert_eq!(rows.len(), all.len());
    for (row, found) in rows.iter().zip(&all) {
        let cell =
            |name: &str| row.get_column_iter().find(|(known, _)| *known == name).unwrap().1.clone();
        assert_eq!(cell("addr"), Cell::Str(found.addr.to_string()));
        assert_eq!(cell("port"), Cell::UShort(found.port));
        let rtt = found.rtt.map(|rtt| i64::try_from(rtt.nanos).unwrap());
        assert_eq!(cell("rtt_ns"), rtt.map_or(Cell::Null, Cell::Long));
    }
}

#[test]
fn long_banners_end_a_group_early() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("found.parquet");
    let banner = Some(vec![b'x'; 1 << 16].into());
    let all = vec![Found { banner, ..found()[0].clone() }; 300];
    tell(sink(&path), &run(), &all, &end());
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    assert!(reader.metadata().num_row_groups() > 1);
    assert_eq!(rows(&path).len(), 300);
}

#[test]
fn before_the_end_there_is_no_file_and_what_there_is_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("found.parquet");
    let mut sink = sink(&path);
    sink.begin(&run()).unwrap();
    let many = found().into_iter().cycle().take(200_000);
    many.for_each(|found| sink.found(&found).unwrap());
    assert!(!path.exists());
    // What a kill would leave.
    let part = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    assert!(part.extension().is_some_and(|end| end == "part"));
    assert!(SerializedFileReader::new(fs::File::open(&part).unwrap()).is_err());
    drop(sink);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_chosen_order_is_that_of_the_columns() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("found.parquet");
    let fields = "rtt_ns,addr".parse().unwrap();
    let mut file = WholeFile::create(&path).unwrap();
    file.flush().unwrap();
    tell(SweepParquet::new(file, &fields, WholeFile::publish), &run(), &found()[..1], &end());
    assert_eq!(rows(&path)[0].to_string(), "{rtt_ns: 123456, addr: \"10.9.0.7\"}");
}
