use engine::params::*; use engine::poly::*; use engine::cipher::*; use engine::keys::*; use engine::eval::*;
use std::sync::Arc; use std::time::Instant;
fn poly(p:&Parameters, c:&[i64], level:usize, ext:bool, scale:f64)->Plaintext{
  let mut r=RnsPoly::zero(p,level,ext,Form::Coefficient);
  for pos in 0..r.limb_count(){ let m=p.modulus(p.limb_index(level,pos)).value() as i64; for(i,w) in r.limb_mut(pos).iter_mut().enumerate(){*w=c[i].rem_euclid(m) as u64;} }
  r.to_ntt(p); Plaintext{poly:r,scale}
}
fn coeffs(p:&Parameters, pt:&Plaintext)->Vec<f64>{ let mut r=pt.poly.clone(); r.to_coefficients(p); let q0=p.modulus(0).value() as i128; 
  if r.limb_count()==1 { return r.limb(0).iter().map(|&x| if (x as i128)>q0/2 {(x as i128-q0) as f64} else {x as f64}).collect(); }
  let q1=p.modulus(1).value() as i128; let inv=p.modulus(1).inv((q0%q1) as u64).unwrap() as i128;
  (0..p.n()).map(|i|{let a=r.limb(0)[i] as i128; let b=r.limb(1)[i] as i128; let t=((b-a).rem_euclid(q1))*inv%q1; let mut x=a+t*q0; if x>q0*q1/2{x-=q0*q1;} x as f64}).collect() }
fn auto(c:&[f64], g:usize)->Vec<f64>{ let n=c.len(); let mut o=vec![0.0;n]; for i in 0..n{ let e=i*g%(2*n); if e<n {o[e]=c[i]} else {o[e-n]=-c[i]} } o }
fn maxerr(a:&[f64],b:&[f64])->f64{a.iter().zip(b).map(|(x,y)|(x-y).abs()).fold(0.0,f64::max)}
fn main(){
 let args:Vec<usize>=std::env::args().skip(1).map(|a|a.parse().unwrap()).collect();
 let (logn,depth,sp,alpha)=if args.len()>=4 {(args[0] as u32,args[1],args[2],args[3])} else {(13,3,1,1)};
 let mut lit=ParametersLiteral::uniform(logn,46,36,depth,(sp,46),alpha); lit.allow_insecure=true;
 let p=Parameters::new(&lit).unwrap(); let n=p.n();
 let sk=SecretKey::from_seed(&p,[7;32]);
 let l=p.max_level();
 let mut spec=KeySpec::default(); spec.relinearisation=Some(l); spec.conjugation=Some(l); for s in [1usize,2,3,5,700]{spec.rotations.insert(s,l);}
 let keys=EvaluationKeys::generate(&sk,&spec).unwrap();
 let ev=Evaluator::new(&p,Arc::new(keys)).unwrap();
 let c:Vec<i64>=(0..n).map(|i| ((i as i64*7919)%2003-1000)<<25).collect(); let cf:Vec<f64>=c.iter().map(|&x|x as f64).collect();
 let small:Vec<i64>=(0..n).map(|i| if i<3 {(i as i64+1)<<20} else {0}).collect();
 let pt=poly(&p,&c,l,false,1.0);
 let ct=sk.encrypt(&pt).unwrap();
 println!("fresh {}", maxerr(&coeffs(&p,&sk.decrypt(&ct).unwrap()),&cf));
 let pk=PublicKey::generate(&sk); println!("pk {}", maxerr(&coeffs(&p,&sk.decrypt(&pk.encrypt(&pt).unwrap()).unwrap()),&cf));
 for s in [1usize,3,700]{ let r=ev.rotate(&ct,s).unwrap(); let e=auto(&cf,Automorphism::galois_of_rotation(logn,s)); println!("rot {s} {}",maxerr(&coeffs(&p,&sk.decrypt(&r).unwrap()),&e)); }
 let r=ev.conjugate(&ct).unwrap(); println!("conj {}",maxerr(&coeffs(&p,&sk.decrypt(&r).unwrap()),&auto(&cf,2*n-1)));
 let low=ev.drop_level(&ct,1).unwrap(); let r=ev.rotate(&low,5).unwrap(); println!("rot low {}",maxerr(&coeffs(&p,&sk.decrypt(&r).unwrap()),&auto(&cf,Automorphism::galois_of_rotation(logn,5))));
 // linear: small * rot1 + small*rot0, rescale
 let ps=poly(&p,&small,l,true,1.0);
 let terms=[LinearTerm{dst:0,src:0,shift:1,plaintext:Some(0)},LinearTerm{dst:0,src:0,shift:0,plaintext:Some(0)},LinearTerm{dst:1,src:0,shift:2,plaintext:Some(0)}];
 for rs in [false,true]{ let plan=LinearPlan::new(&p,1,2,&terms,rs).unwrap(); let o=ev.linear(&plan,&[&ct],&[&ps]).unwrap();
  let mulsmall=|x:&[f64]|{let mut o=vec![0.0;n]; for k in 0..3{for i in 0..n{let j=i+k; let v=x[i]*small[k] as f64; if j<n{o[j]+=v}else{o[j-n]-=v}}} o};
  let a1=auto(&cf,Automorphism::galois_of_rotation(logn,1)); let a2=auto(&cf,Automorphism::galois_of_rotation(logn,2));
  let mut e0=mulsmall(&a1.iter().zip(&cf).map(|(x,y)|x+y).collect::<Vec<_>>()); let mut e1=mulsmall(&a2);
  if rs {let q=p.modulus(l).value() as f64; e0.iter_mut().for_each(|x|*x/=q); e1.iter_mut().for_each(|x|*x/=q);}
  println!("linear rs={rs} {} {} of {}",maxerr(&coeffs(&p,&sk.decrypt(&o[0]).unwrap()),&e0),maxerr(&coeffs(&p,&sk.decrypt(&o[1]).unwrap()),&e1), e0.iter().fold(0.0f64,|a,x|a.max(x.abs())));
 }
 // square
 let sq:Vec<i64>=(0..n).map(|i| if i%97==0 {1<<22} else {0}).collect(); let cs=sk.encrypt(&poly(&p,&sq,l,false,1.0)).unwrap();
 let exact={let f:Vec<f64>=sq.iter().map(|&x|x as f64).collect(); let mut o=vec![0.0;n]; for i in 0..n{ if f[i]!=0.0 {for j in 0..n{ if f[j]!=0.0{let k=i+j; if k<n{o[k]+=f[i]*f[j]}else{o[k-n]-=f[i]*f[j]}}}}} o};
 let r=ev.sum_squares(&[&cs,&cs],false).unwrap(); println!("sumsq {} of {}",maxerr(&coeffs(&p,&sk.decrypt(&r).unwrap()),&exact.iter().map(|x|2.0*x).collect::<Vec<_>>()), exact.iter().fold(0.0f64,|a,x|a.max(*x)));
 let r=ev.multiply(&cs,&cs,true).unwrap(); let q=p.modulus(l).value() as f64; println!("mul rs {}",maxerr(&coeffs(&p,&sk.decrypt(&r).unwrap()),&exact.iter().map(|x|x/q).collect::<Vec<_>>()));
 // timing, one thread
 let pool=rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
 pool.install(||{
  let med=|f:&mut dyn FnMut()|{ let mut v:Vec<f64>=(0..31).map(|_|{let t=Instant::now(); f(); t.elapsed().as_secs_f64()*1e3}).collect(); v.sort_by(f64::total_cmp); v[15]};
  let mut buf=vec![1u64;n]; println!("ntt {:.1} us inv {:.1}", 1e3*med(&mut||p.table(1).forward(&mut buf)), 1e3*med(&mut||p.table(1).inverse(&mut buf)));
  println!("rotate {:.3}", med(&mut||{ev.rotate(&ct,1).unwrap();}));
  println!("hoisted5 {:.3}", med(&mut||{ev.rotate_hoisted(&ct,&[1,2,3,5,700]).unwrap();}));
  println!("square {:.3} +rescale {:.3}", med(&mut||{ev.sum_squares(&[&ct],false).unwrap();}), med(&mut||{ev.sum_squares(&[&ct],true).unwrap();}));
  println!("rescale {:.3}", med(&mut||{ev.rescale(&ct).unwrap();}));
  println!("add {:.3}", med(&mut||{ev.add(&ct,&ct).unwrap();}));
  let pts:Vec<Plaintext>=(0..40).map(|_|ps.clone()).collect(); let pr:Vec<&Plaintext>=pts.iter().collect();
  let t:Vec<_>=(0..8).flat_map(|d|[0usize,1,2,3,5].into_iter().enumerate().map(move|(i,s)|LinearTerm{dst:d,src:0,shift:s,plaintext:Some(d*5+i)})).collect();
  let plan=LinearPlan::new(&p,1,8,&t,true).unwrap(); println!("linear 4rot x 8 out (40 pt) {:.3}", med(&mut||{ev.linear(&plan,&[&ct],&pr).unwrap();}));
  let t:Vec<_>=(0..40).map(|d|LinearTerm{dst:0,src:0,shift:0,plaintext:Some(d)}).collect();
  let plan=LinearPlan::new(&p,1,1,&t,false).unwrap(); println!("mac x40 {:.4} each", med(&mut||{ev.linear(&plan,&[&ct],&pr).unwrap();})/40.0);
 });
}
