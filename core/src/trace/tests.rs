use super::*;

#[test]
fn a_parent_is_read_as_the_specification_says_and_printed_as_it_was() {
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let read = TraceParent::parse(good).expect("the example of the specification");
    assert!(read.sampled);
    assert_eq!(read.to_string(), good);
    let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-what-the-future";
    assert_eq!(TraceParent::parse(later), Some(read), "a later version is read by its first fields");
    assert!(!TraceParent::parse(&good.replace("-01", "-00")).expect("well formed").sampled);
}

#[test]
fn what_is_no_parent_is_ignored() {
    for bad in [
        "",
        "00",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert_eq!(TraceParent::parse(bad), None, "{bad}");
    }
}
